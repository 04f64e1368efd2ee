"""A shop, simulated: it sells over the simulated Stripe and, for Basic, has a plug-in that invoices in Fortnox."""

from addon.sandbox.shop.catalog import DESIGN_GOODS, FELL_GOODS, Buyer, Product
from addon.sandbox.shop.pages import make_shop_app
from addon.sandbox.shop.shop import ODDITIES, TEN_CURRENCIES, Oddity, Order, SellingReport, Shop

__all__ = [
    "DESIGN_GOODS",
    "FELL_GOODS",
    "ODDITIES",
    "TEN_CURRENCIES",
    "Buyer",
    "Oddity",
    "Order",
    "Product",
    "SellingReport",
    "Shop",
    "make_shop_app",
]
