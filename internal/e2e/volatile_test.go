package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestVolatileState: a gateway does not start where a power cut takes its state,
// in memory or in a container's overlay, unless it is told that this is meant.
func TestVolatileState(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	for name, mount := range map[string]func(*testing.T, string){
		"tmpfs": func(t *testing.T, dir string) { mountDisk(t, dir, 64<<20) },
		"overlay": func(t *testing.T, dir string) {
			parts := t.TempDir()
			mountDisk(t, parts, 64<<20) // an overlay does not lie on an overlay
			var dirs []any
			for _, d := range []string{"lower", "upper", "work"} {
				path := filepath.Join(parts, d)
				check(t, os.Mkdir(path, 0o700))
				dirs = append(dirs, path)
			}
			check(t, os.MkdirAll(dir, 0o700))
			mayMount(t, syscall.Mount("overlay", dir, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dirs...)))
			t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
		},
	} {
		for _, what := range []string{"state", "spool"} {
			t.Run(name+"/"+what, func(t *testing.T) {
				site := NewSite(t, StartMosquitto(t).Addr)
				if what == "spool" {
					elsewhere := newImage(t, site.State(), 96<<20) // a state that lasts
					mount(t, filepath.Join(elsewhere.dir, "spool"))
				} else {
					mount(t, site.State())
				}
				site.Spool = "{size: 32MiB}"
				p := Start(t, Sealgate(t), "run", "--config", site.Config(t))
				if err := p.Wait(20 * time.Second); err == nil || !p.Ended() {
					t.Fatalf("it starts: %v", err)
				}
				if log := p.Log(); !strings.Contains(log, "file system does not keep its content") {
					t.Errorf("it says: %s", log)
				}
				site.Spool = "{size: 32MiB, volatile: true}"
				check(t, site.Start(t).Stop(20*time.Second))
			})
		}
	}
}
