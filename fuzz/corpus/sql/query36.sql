select * from (select ym as m, sum(value) s from trade group by ym) x where m = 5 and s > 3;
