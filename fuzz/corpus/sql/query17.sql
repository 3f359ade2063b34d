select A from mixed;
