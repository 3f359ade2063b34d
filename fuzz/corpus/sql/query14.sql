select nosuch from trade;
