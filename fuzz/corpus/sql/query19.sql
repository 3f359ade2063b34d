select x.y from trade;
