# shop for Nomad, written by `devport export nomad`
# The clients need raw_exec, and the project in its folder.
# migrate: not carried over: after
job "shop-tasks" {
  type = "batch"

  group "migrate" {
    count = 1
    restart {
      attempts = 0
      interval = "300s"
      delay    = "1s"
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task "migrate" {
      driver = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "5s"

      config {
        command = "/bin/sh"
        args    = ["-c", "cd /srv/shop && exec /bin/sh -c './manage.py migrate'"]
      }

      env = {
        "DATABASE_URL" = "postgres://localhost:19000/shop"
        "DB_PORT" = "19000"
        "SECRET_KEY" = "s3cr3t"
        "PS" = "migrate"
      }
    }
  }
}
