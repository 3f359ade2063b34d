select * from trade where value;
