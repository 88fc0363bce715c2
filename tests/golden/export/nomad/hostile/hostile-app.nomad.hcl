# hostile-app for Nomad, written by `devport export nomad`
# The clients need raw_exec, and the project in its folder.
# web.1: not carried over: stop.exec
# a-b_c.d: not carried over: after
job "hostile-app" {
  type = "service"

  group "web.1" {
    count = 1
    network {
      mode = "host"
      port "port" {
        static = 19000
      }
    }
    restart {
      attempts = 10
      interval = "300s"
      delay    = "1s"
      mode     = "delay"
    }
    service {
      name     = "hostile-app-web-1"
      port     = "port"
      provider = "nomad"
    }
    task "web.1" {
      driver = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "5s"

      config {
        command = "/bin/sh"
        args    = ["-c", "cd '/srv/it'\\''s 100%n/a  b\\c/$HOME/Grüße' && exec env 'DOLLAR=$HOME $''{HOME} $$ $(id) `id`' 'BRACES={{x}} {x} $''{x}' '/opt/my app/100%/run' '  two  words ' 'it'\\''s' 'say \"hi\"' '100%n %% %h' '$HOME $''{HOME} $$ $(id) `id`' 'C:\\new\\' 'one\ntwo\n' 'a\tb\rc' 'Grüße ✓' '' '{{x}} {x} $''{x}' '# no comment ; here' 'a;' 'a,b=\"c\",d:e' '<a href='\\''x'\\''>&amp;</a> ]]>' yes 0123 '- x: [y]' '~' '!important !!' a=b=c -- -n ';' '&&' '*' @ % '$' '\\' ''\\''' '\"'"]
      }

      env = {
        "BLANKS" = "  two  words "
        "SINGLE" = "it's"
        "DOUBLE" = "say \"hi\""
        "PERCENT" = "100%n %% %h"
        "BACKSLASH" = "C:\\new\\"
        "NEWLINE" = "one\ntwo\n"
        "TAB" = "a\tb\rc"
        "ACCENT" = "Grüße ✓"
        "EMPTY" = ""
        "HASH" = "# no comment ; here"
        "SEMICOLON" = "a;"
        "COMMA" = "a,b=\"c\",d:e"
        "MARKUP" = "<a href='x'>&amp;</a> ]]>"
        "YAML" = "yes"
        "NUMBER" = "0123"
        "DASH" = "- x: [y]"
        "TILDE" = "~"
        "BANG" = "!important !!"
        "EQUALS" = "a=b=c"
        "PORT" = "19000"
        "PS" = "web.1"
      }
    }
  }

  group "Web.v2" {
    count = 1
    network {
      mode = "host"
      port "port" {
        static = 19100
      }
    }
    restart {
      attempts = 10
      interval = "300s"
      delay    = "1s"
      mode     = "delay"
    }
    task "Web.v2" {
      driver = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "5s"

      config {
        command = "/bin/sh"
        args    = ["-c", "cd '/srv/it'\\''s 100%n/a  b\\c/$HOME/Grüße' && exec env 'DOLLAR=$HOME $''{HOME} $$ $(id) `id`' 'BRACES={{x}} {x} $''{x}' /bin/sh -c 'printf '\\''%s\\n'\\'' \"$PORT\" '\\''it'\\''\\'\\'''\\''s'\\'' $$ `id`; echo {{x}} %n # done\necho second'"]
      }

      env = {
        "BLANKS" = "  two  words "
        "SINGLE" = "it's"
        "DOUBLE" = "say \"hi\""
        "PERCENT" = "100%n %% %h"
        "BACKSLASH" = "C:\\new\\"
        "NEWLINE" = "one\ntwo\n"
        "TAB" = "a\tb\rc"
        "ACCENT" = "Grüße ✓"
        "EMPTY" = ""
        "HASH" = "# no comment ; here"
        "SEMICOLON" = "a;"
        "COMMA" = "a,b=\"c\",d:e"
        "MARKUP" = "<a href='x'>&amp;</a> ]]>"
        "YAML" = "yes"
        "NUMBER" = "0123"
        "DASH" = "- x: [y]"
        "TILDE" = "~"
        "BANG" = "!important !!"
        "EQUALS" = "a=b=c"
        "PORT" = "19100"
        "PS" = "Web.v2"
      }
    }
  }

  group "a-b_c.d" {
    count = 1
    restart {
      attempts = 10
      interval = "300s"
      delay    = "1s"
      mode     = "delay"
    }
    task "a-b_c.d" {
      driver = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "5s"

      config {
        command = "/bin/sh"
        args    = ["-c", "cd '/srv/it'\\''s 100%n/a  b\\c/$HOME/Grüße/sub folder' && exec tool 'a b'"]
      }

      env = {
        "ONLY" = "here's 100%"
        "PS" = "a-b_c.d"
      }
    }
  }
}
