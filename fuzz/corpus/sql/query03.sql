select count(*) from trade;
