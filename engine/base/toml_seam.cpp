/* toml_seam.cpp - toml++ behind toml_seam.h. Non-goals: anything that C could do. */
#include "engine/base/toml_seam.h"

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

namespace
{

using values = std::vector<twi_toml_value>;

twi_toml_kind kind_of(const toml::node &node)
{
    switch (node.type()) {
    case toml::node_type::boolean:
        return TWI_TOML_BOOL;
    case toml::node_type::integer:
        return TWI_TOML_INTEGER;
    case toml::node_type::floating_point:
        return TWI_TOML_FLOAT;
    case toml::node_type::string:
        return TWI_TOML_STRING;
    case toml::node_type::array:
        return TWI_TOML_ARRAY;
    case toml::node_type::table:
        return TWI_TOML_TABLE;
    default:
        return TWI_TOML_TIME;
    }
}

twi_toml_value scalar(const toml::node &node)
{
    twi_toml_value value = {};
    value.kind = kind_of(node);
    value.line = node.source().begin.line;
    if (const auto *boolean = node.as_boolean())
        value.boolean = boolean->get();
    if (const auto *integer = node.as_integer())
        value.integer = integer->get();
    if (const auto *text = node.as_string()) {
        value.text = text->get().c_str();
        value.text_length = text->get().size();
    }
    return value;
}

void tell_value(const twi_toml_visitor &visitor, std::string_view key, const toml::node &node)
{
    twi_toml_value value = scalar(node);
    values items;
    if (const auto *array = node.as_array()) {
        for (const auto &item : *array)
            items.push_back(scalar(item));
        value.items = items.data();
        value.item_count = static_cast<uint32_t>(items.size());
    }
    visitor.value(visitor.owner, std::string(key).c_str(), &value);
}

void tell_table(const twi_toml_visitor &visitor, const std::string &name, int32_t index, const toml::table &table)
{
    visitor.table(visitor.owner, name.c_str(), index, table.source().begin.line);
    for (const auto &[key, node] : table)
        tell_value(visitor, key.str(), node);
}

bool is_table_array(const toml::node &node)
{
    const auto *array = node.as_array();
    return array && !array->empty() && array->is_homogeneous<toml::table>();
}

void tell_document(const twi_toml_visitor &visitor, const toml::table &document)
{
    visitor.table(visitor.owner, "", -1, 1);
    for (const auto &[key, node] : document)
        if (!node.is_table() && !is_table_array(node))
            tell_value(visitor, key.str(), node);
    for (const auto &[key, node] : document) {
        const std::string name(key.str());
        if (const auto *table = node.as_table())
            tell_table(visitor, name, -1, *table);
        if (!is_table_array(node))
            continue;
        int32_t index = 0;
        for (const auto &item : *node.as_array())
            tell_table(visitor, name, index++, *item.as_table());
    }
}

} // namespace

extern "C" tw_status twi_toml_read(const char *text, size_t length, const twi_toml_visitor *visitor,
                                   uint32_t *error_line, char *error, size_t error_cap)
{
    *error_line = 0;
    try {
        const toml::table document = toml::parse(std::string_view(text, length));
        tell_document(*visitor, document);
        return TW_OK;
    } catch (const toml::parse_error &failure) {
        *error_line = failure.source().begin.line;
        std::snprintf(error, error_cap, "%s", std::string(failure.description()).c_str());
        return TW_MALFORMED;
    } catch (const std::exception &failure) {
        std::snprintf(error, error_cap, "%s", failure.what());
        return TW_NO_MEMORY;
    } catch (...) {
        std::snprintf(error, error_cap, "unknown failure of the TOML parser");
        return TW_NO_MEMORY;
    }
}
