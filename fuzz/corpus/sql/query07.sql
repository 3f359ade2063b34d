select case when exp_imp=1 then 'exp' else 'imp' end k, avg(value)::decimal(10,2) from trade group by k order by k;
