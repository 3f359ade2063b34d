select ym, value from trade group by ym;
