select valu from trade;
