select order.group, "select" from default.order;
