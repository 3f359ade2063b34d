with a as (select * from trade where ym=3), b(x) as (select ym from a) select * from b, a where b.x = a.ym and a.hs9 like 'x%';
