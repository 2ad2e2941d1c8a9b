// SPDX-FileCopyrightText: The pregate authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/command.hpp"

#include <charconv>
#include <sstream>

#include "cli/terminal.hpp"
#include "models/error.hpp"

namespace pregate::cli {

namespace {

std::vector<std::string> option_names(const po::options_description& options) {
  std::vector<std::string> names;
  for (const auto& option : options.options()) names.push_back("--" + option->long_name());
  return names;
}

po::variables_map parse_strictly(const po::options_description& options, const Arguments& arguments,
                                 const std::string& positional, int most_positional) {
  po::positional_options_description places;
  if (!positional.empty()) places.add(positional.c_str(), most_positional);
  // No guessing: an abbreviated option is an error, so that a new option never changes an old script.
  const int style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
  po::variables_map values;
  po::store(po::command_line_parser(arguments).options(options).positional(places).style(style).run(),
            values);
  po::notify(values);
  return values;
}

}  // namespace

std::int64_t Parsed::integer(const char* name, std::int64_t fallback, std::int64_t least,
                             std::int64_t most) const {
  if (!has(name)) return fallback;
  const std::string given = text(name);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), value);
  if (error != std::errc{} || end != given.data() + given.size() || value < least || value > most) {
    throw InputError("--" + std::string(name), "'" + printable(given) + "' is not a whole number from " +
                                                   std::to_string(least) + " to " + std::to_string(most));
  }
  return value;
}

Parsed parse(const std::string& usage, po::options_description options, const Arguments& arguments,
             const std::string& positional, int most_positional) {
  options.add_options()("help,h", po::bool_switch(), "print this help");
  Parsed parsed;
  try {
    parsed.values = parse_strictly(options, arguments, positional, most_positional);
  } catch (const po::unknown_option& error) {
    throw InputError(error.get_option_name(), "no such option",
                     suggest(error.get_option_name(), option_names(options)));
  } catch (const po::too_many_positional_options_error&) {
    throw InputError("arguments", "more words than this command takes", "usage: " + usage);
  } catch (const po::error& error) {
    throw InputError("arguments", error.what(), "usage: " + usage);
  }
  if (parsed.flag("help")) {
    std::ostringstream text;
    text << "usage: " << usage << "\n\n" << options;
    print(text.str());
    parsed.help = true;
  }
  return parsed;
}

ExitCode dispatch(const std::string& program, const std::string& intro, const std::vector<Command>& commands,
                  const Arguments& arguments) {
  if (arguments.empty() || arguments[0] == "help" || arguments[0] == "--help" || arguments[0] == "-h") {
    std::size_t width = 0;
    for (const Command& command : commands) width = std::max(width, command.name.size());
    std::string text = intro + "\n\nusage: " + program + " <command> [options]\n\n";
    for (const Command& command : commands) {
      text +=
          "  " + command.name + std::string(width + 2 - command.name.size(), ' ') + command.summary + "\n";
    }
    print(text + "\n" + program + " <command> --help explains a command.\n");
    if (arguments.empty())
      throw InputError("", "no command given", "usage: " + program + " <command> [options]");
    return 0;
  }
  std::vector<std::string> names;
  for (const Command& command : commands) {
    if (command.name == arguments[0]) return command.run({arguments.begin() + 1, arguments.end()});
    names.push_back(command.name);
  }
  throw InputError(program, "no command named '" + printable(arguments[0]) + "'",
                   suggest(arguments[0], names));
}

void print(const std::string& text) { show(Channel::output, text); }

}  // namespace pregate::cli
