from trade select ym, count(distinct hs9) filter (where value > 3) group by all having count(*) > 1 order by all desc;
