/* subscriber.cpp - a C++17 program that subscribes over WebSocket and checks that nothing is missing.
 *
 * Build:     c++ -std=c++17 subscriber.cpp -o subscriber $(pkg-config --cflags --libs tickwire)
 * Usage:     ./subscriber URL [COUNT]     prints COUNT messages (10), e.g. of ws://127.0.0.1:9001/v1/stream
 * Exit:      0 they came in order, 1 they did not, or not at all within 10 seconds
 * Shape:     handles in unique_ptr with the library's own close as deleter; callbacks are plain functions that get the
 *            object back as `owner`. */
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include <tickwire/subscriber.h>

namespace
{

struct close_pool {
    void operator()(tw_client_pool *pool) const { tw_client_pool_close(pool); }
};
using pool_handle = std::unique_ptr<tw_client_pool, close_pool>;

class printer
{
  public:
    explicit printer(std::uint64_t wanted) : wanted_(wanted) {}

    void open(const std::string &url)
    {
        char error[512] = "";
        tw_client_pool_options options;
        tw_client_pool_options_init(&options);
        options.callbacks.on_message = on_message;
        options.owner = this;
        tw_client_pool *pool = nullptr;
        if (tw_client_pool_open(&options, &pool, error, sizeof error) != TW_OK)
            throw std::runtime_error(error);
        pool_.reset(pool);
        tw_subscription all{};
        all.channels = "trade,quote";
        all.symbols = "*";
        tw_client_options to{};
        to.url = url.c_str();
        to.subscriptions = &all;
        to.subscription_count = 1;
        tw_client *client = nullptr;
        if (tw_client_open(pool_.get(), &to, &client, error, sizeof error) != TW_OK)
            throw std::runtime_error(error);
    }

    bool run(std::chrono::steady_clock::time_point deadline)
    {
        while (seen_ < wanted_ && std::chrono::steady_clock::now() < deadline)
            tw_client_pool_poll(pool_.get(), 100000000);
        tw_client_stats stats{};
        tw_client_pool_stats(pool_.get(), &stats);
        std::cout << seen_ << " messages, " << stats.gaps << " gaps" << std::endl;
        return seen_ >= wanted_ && stats.gaps == 0 && stats.duplicates == 0;
    }

  private:
    static void on_message(tw_client *, const tw_message *message, void *owner)
    {
        static_cast<printer *>(owner)->print(*message);
    }

    void print(const tw_message &message)
    {
        if (seen_ == wanted_)
            return;
        seen_++;
        const tw_topic *topic = tw_client_pool_topic(pool_.get(), message.topic);
        std::cout << topic->exchange << ':' << topic->symbol << ' ' << tw_channel_name(topic->channel) << " #"
                  << message.seq << ", " << (message.arrival_ns - message.publish_ns) / 1000 << " us\n";
    }

    pool_handle pool_;
    std::uint64_t wanted_, seen_ = 0;
};

} // namespace

int main(int argc, char **argv)
{
    if (argc < 2) {
        std::cerr << "usage: subscriber URL [COUNT]\n";
        return 2;
    }
    try {
        printer to_stdout(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 10);
        to_stdout.open(argv[1]);
        return to_stdout.run(std::chrono::steady_clock::now() + std::chrono::seconds(10)) ? 0 : 1;
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
