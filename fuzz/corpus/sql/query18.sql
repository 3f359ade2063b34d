select "B" from mixed;
