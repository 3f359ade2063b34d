select * exclude (hs9, d) replace (value*2 as value) from trade limit 3;
