# shop for Nomad, written by `devport export nomad`
# The clients need raw_exec, and the project in its folder.
# api: not carried over: after, watchdog, ready.notify
# web: not carried over: after, live
# web.2: not carried over: after, live
# clock: not carried over: after, watch, restart: on-failure
job "shop" {
  type = "service"

  group "db" {
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
      name     = "shop-db"
      port     = "port"
      provider = "nomad"
      check {
        type = "tcp"
        port = "port"
        interval = "10s"
        timeout = "1s"
      }
    }
    task "db" {
      driver = "raw_exec"
      kill_signal  = "SIGINT"
      kill_timeout = "30s"

      config {
        command = "/bin/sh"
        args    = ["-c", "cd /srv/shop && exec postgres -D data"]
      }

      env = {
        "DATABASE_URL" = "postgres://localhost:19000/shop"
        "DB_PORT" = "19000"
        "SECRET_KEY" = "s3cr3t"
        "PORT" = "19000"
        "PS" = "db"
      }
    }
  }

  group "api" {
    count = 1
    network {
      mode = "host"
      port "http" {
        static = 19100
      }
      port "admin" {
        static = 19101
      }
    }
    restart {
      attempts = 3
      interval = "60s"
      delay    = "2s"
      mode     = "fail"
    }
    service {
      name     = "shop-api"
      port     = "http"
      provider = "nomad"
    }
    task "api" {
      driver = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "5s"

      config {
        command = "/bin/sh"
        args    = ["-c", "cd /srv/shop && exec ./bin/api --verbose"]
      }

      env = {
        "DATABASE_URL" = "postgres://localhost:19000/shop"
        "DB_PORT" = "19000"
        "SECRET_KEY" = "s3cr3t"
        "LOG_LEVEL" = "info"
        "http" = "19100"
        "admin" = "19101"
        "PORT" = "19100"
        "PS" = "api"
      }
    }
  }

  group "web" {
    count = 1
    network {
      mode = "host"
      port "port" {
        static = 19200
      }
    }
    restart {
      attempts = 10
      interval = "300s"
      delay    = "1s"
      mode     = "delay"
    }
    service {
      name     = "shop-web"
      port     = "port"
      provider = "nomad"
      check {
        type = "http"
        port = "port"
        interval = "10s"
        timeout = "1s"
        path = "/health"
        protocol = "http"
      }
    }
    task "web" {
      driver = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "5s"

      config {
        command = "/bin/sh"
        args    = ["-c", "cd /srv/shop && exec /bin/sh -c 'exec gunicorn shop.wsgi --bind 127.0.0.1:$PORT'"]
      }

      env = {
        "DATABASE_URL" = "postgres://localhost:19000/shop"
        "DB_PORT" = "19000"
        "SECRET_KEY" = "s3cr3t"
        "PORT" = "19200"
        "PS" = "web"
      }
    }
  }

  group "web.2" {
    count = 1
    network {
      mode = "host"
      port "port" {
        static = 19201
      }
    }
    restart {
      attempts = 10
      interval = "300s"
      delay    = "1s"
      mode     = "delay"
    }
    service {
      name     = "shop-web-2"
      port     = "port"
      provider = "nomad"
      check {
        type = "http"
        port = "port"
        interval = "10s"
        timeout = "1s"
        path = "/health"
        protocol = "http"
      }
    }
    task "web.2" {
      driver = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "5s"

      config {
        command = "/bin/sh"
        args    = ["-c", "cd /srv/shop && exec /bin/sh -c 'exec gunicorn shop.wsgi --bind 127.0.0.1:$PORT'"]
      }

      env = {
        "DATABASE_URL" = "postgres://localhost:19000/shop"
        "DB_PORT" = "19000"
        "SECRET_KEY" = "s3cr3t"
        "PORT" = "19201"
        "PS" = "web.2"
      }
    }
  }

  group "clock" {
    count = 1
    restart {
      attempts = 5
      interval = "300s"
      delay    = "1s"
      mode     = "fail"
    }
    task "clock" {
      driver = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "5s"

      config {
        command = "/bin/sh"
        args    = ["-c", "cd /srv/shop/clock && exec /bin/sh -c 'while :; do date; sleep 60; done'"]
      }

      env = {
        "DATABASE_URL" = "postgres://localhost:19000/shop"
        "DB_PORT" = "19000"
        "SECRET_KEY" = "s3cr3t"
        "PS" = "clock"
      }
    }
  }
}
