select value + 'abc' from trade;
