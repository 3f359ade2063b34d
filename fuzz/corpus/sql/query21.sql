select sum(sum(value)) from trade;
