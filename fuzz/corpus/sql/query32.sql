insert into custom (name, id) select hs9, value from trade;
