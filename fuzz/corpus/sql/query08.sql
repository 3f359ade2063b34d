select value from trade where value > (select avg(value) from trade);
