"""venues.py - every simulated venue by name, and the recordings that can be served."""
from venues_first import Binance, BinanceUsdm, Coinbase, CoinbaseExchange, Kraken, KrakenV1
from venues_rest import Bitstamp, Gate, Gemini, Htx, Kucoin
from venues_swap import Bitfinex, Bitmex, Bybit, BybitSpot, Deribit, Okx

VENUES = {venue.name: venue for venue in (
    Binance, BinanceUsdm, CoinbaseExchange, Coinbase, Kraken, KrakenV1, Okx, Bybit, BybitSpot, Bitstamp, Deribit,
    Bitmex, Gemini, Htx, Kucoin, Gate, Bitfinex)}

# (venue, folder)
RECORDINGS = [("binance", "binance-spot-2021oct"), ("binance", "binance-spot-btcusdt-20240808"),
              ("binanceusdm", "binance-usdm-2021jul"), ("binanceusdm", "binance-usdm-ethusdt-20240808"),
              ("coinbaseexchange", "coinbase-exchange-2021apr"), ("kraken_v1", "kraken-v1-2021apr17"),
              ("okx", "okx-v5-2022feb"), ("bybit", "bybit-v5-2026aug"), ("bybit_spot", "bybit-v5-2026aug"),
              ("bitstamp", "bitstamp-2022jan"), ("deribit", "deribit-2021jul"), ("bitmex", "bitmex-2021apr17"),
              ("gemini", "gemini-2021jun"), ("htx", "htx-spot-2021apr"), ("kucoin", "kucoin-2021apr25"),
              ("gate", "gate-spot-2021apr22"), ("bitfinex", "bitfinex-2021apr17")]
