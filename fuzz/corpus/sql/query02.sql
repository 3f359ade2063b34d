select 1, 'a' x, 2+3*4 as y, 1.5, 1e3;
