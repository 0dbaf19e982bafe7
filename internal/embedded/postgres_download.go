package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// downloadable are the versions that can be fetched; the first is taken when any will do.
func downloadable() []embeddedpostgres.PostgresVersion {
	return []embeddedpostgres.PostgresVersion{
		embeddedpostgres.V17, embeddedpostgres.V18, embeddedpostgres.V16, embeddedpostgres.V15, embeddedpostgres.V14,
	}
}

// download brings the binaries of the major version (any, if zero) into the cache, unless they are there already.
func download(ctx context.Context, cfg PostgresConfig, major int) (binaries, error) {
	var version embeddedpostgres.PostgresVersion
	for _, v := range downloadable() {
		if majorOf(v) == major || major == 0 {
			version = v
			break
		}
	}
	if version == "" {
		return binaries{}, fmt.Errorf("PostgreSQL %d can't be downloaded", major)
	}
	cache, err := cacheDir(cfg)
	if err != nil {
		return binaries{}, err
	}
	final := filepath.Join(cache, "postgresql-"+string(version))
	if b, err := inspect(ctx, filepath.Join(final, "bin")); err == nil {
		return b, nil
	}
	cfg.Progress("downloading PostgreSQL " + string(version) + ", once")
	work, err := os.MkdirTemp(cache, "download-")
	if err != nil {
		return binaries{}, err
	}
	from := embeddedpostgres.DefaultConfig().Version(version)
	if cfg.Mirror != "" {
		from = from.BinaryRepositoryURL(cfg.Mirror)
	}
	fetched := make(chan error, 1)
	go func() { // The library can't be interrupted; left alone, it ends by itself and cleans up.
		fetched <- errors.Join(fetch(from, majorOf(version), work, final), os.RemoveAll(work))
	}()
	select {
	case err := <-fetched:
		if err != nil {
			return binaries{}, err
		}
	case <-ctx.Done():
		return binaries{}, ctx.Err()
	}
	return inspect(ctx, filepath.Join(final, "bin"))
}

// fetch lets the library download and unpack the binaries, and nothing else: it has no call for that, and its own way of
// starting the server can't run as root and gives no hold on the process.
//
// Its Start downloads, unpacks, makes the runtime folder, and then starts the server on the data folder. Ours looks like a
// cluster to it but is none, so that start fails at once, and the runtime folder tells that all before it went well.
func fetch(from embeddedpostgres.Config, major int, work, final string) error {
	data, runtime, unpacked := filepath.Join(work, "data"), filepath.Join(work, "runtime"), filepath.Join(work, "unpacked")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(strconv.Itoa(major)+"\n"), 0o600); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	server := embeddedpostgres.NewDatabase(from.CachePath(work).RuntimePath(runtime).BinariesPath(unpacked).DataPath(data).
		Port(uint32(port)).Logger(io.Discard)) //nolint:gosec // A port fits.
	if err = server.Start(); err == nil {
		return errors.Join(errors.New("the library started a server on a folder that holds no data"), server.Stop())
	}
	if _, serr := os.Stat(runtime); serr != nil {
		return err
	}
	if err := os.Chmod(unpacked, 0o755); err != nil { //nolint:gosec // Another user runs it when we are root.
		return err
	}
	// The folder gets its name only when it is whole. If another process was faster, its copy is as good.
	if err := os.Rename(unpacked, final); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// majorOf reads the first number of a version; zero if there is none.
func majorOf(v embeddedpostgres.PostgresVersion) int {
	first, _, _ := strings.Cut(string(v), ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return n
}

// cacheDir is made when absent.
func cacheDir(cfg PostgresConfig) (string, error) {
	dir := cfg.CacheDir
	switch {
	case dir != "":
	case os.Geteuid() == 0:
		dir = "/var/cache/pairsync" // Root's own cache folder is closed to the user as whom PostgreSQL runs.
	default:
		base, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(base, "pairsync")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // Another user runs what is in it when we are root.
		return "", err
	}
	return dir, nil
}
