select Country from trade, custom;
