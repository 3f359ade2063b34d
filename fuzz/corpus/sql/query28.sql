select * from trade where d = '2020-13-01';
