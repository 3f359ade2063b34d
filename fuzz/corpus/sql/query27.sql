select sum(value) from trade where sum(value) > 1;
