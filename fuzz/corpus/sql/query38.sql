select distinct ym from trade order by value;
