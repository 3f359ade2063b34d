select * from trade t join custom c using (Country) where c.id > 3 and t.exp_imp = 1 order by Value desc limit 10 offset 5;
