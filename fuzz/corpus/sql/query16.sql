select a from mixed;
