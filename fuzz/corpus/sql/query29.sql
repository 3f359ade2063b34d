select * from trade where d >= date '2020-01-01' and exp_imp = 1::bigint and price > 5;
