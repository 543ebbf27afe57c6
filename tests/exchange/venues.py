"""venues.py - every simulated venue by the name that the engine's configuration uses."""
from venues_first import Binance, BinanceUsdm, Coinbase, CoinbaseExchange, Kraken, KrakenV1

VENUES = {venue.name: venue for venue in (Binance, BinanceUsdm, CoinbaseExchange, Coinbase, Kraken, KrakenV1)}

# Recordings that the simulator can serve: (venue, folder).
RECORDINGS = [("binance", "binance-spot-2021oct"), ("binance", "binance-spot-btcusdt-20240808"),
              ("binanceusdm", "binance-usdm-2021jul"), ("binanceusdm", "binance-usdm-ethusdt-20240808"),
              ("coinbaseexchange", "coinbase-exchange-2021apr"), ("kraken_v1", "kraken-v1-2021apr17")]
