SELECT ym, sum(Value) AS Value FROM default.trade WHERE exp_imp = 1 GROUP BY ym ORDER BY ym;
