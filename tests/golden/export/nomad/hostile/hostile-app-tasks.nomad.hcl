# hostile-app for Nomad, written by `devport export nomad`
# The clients need raw_exec, and the project in its folder.
job "hostile-app-tasks" {
  type = "batch"

  group "task.x" {
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
    task "task.x" {
      driver = "raw_exec"
      kill_signal  = "SIGTERM"
      kill_timeout = "5s"

      config {
        command = "/bin/sh"
        args    = ["-c", "cd '/srv/it'\\''s 100%n/a  b\\c/$HOME/Grüße' && exec './do it' ''"]
      }

      env = {
        "PS" = "task.x"
      }
    }
  }
}
