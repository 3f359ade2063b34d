values (1,'a'),(2,null) order by 1 desc;
