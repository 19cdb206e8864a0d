// SPDX-License-Identifier: GPL-2.0-or-later
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.sia.tech/core/types"
	"go.sia.tech/coreutils"
	"go.sia.tech/coreutils/chain"
	"lukechampine.com/frand"
)

var mineMu sync.Mutex

func mine(cm *chain.Manager, to types.Address, n int) error {
	mineMu.Lock()
	defer mineMu.Unlock()
	for range n {
		b, ok := coreutils.MineBlock(cm, to, 10*time.Second)
		if !ok {
			return errors.New("no block found in time")
		} else if err := cm.AddBlocks([]types.Block{b}); err != nil {
			return err
		}
	}
	return nil
}

// ---- the chain, as the child has it ----

type txnSet struct {
	Basis types.ChainIndex      `json:"basis"`
	Txns  []types.V2Transaction `json:"txns"`
}

func postNode(path string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	resp, err := http.Post(*nodeURL+path, "application/json", bytes.NewReader(b))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var text bytes.Buffer
		text.ReadFrom(resp.Body)
		return fmt.Errorf("%s: %s", path, strings.TrimSpace(text.String()))
	}
	return nil
}

// addNew adds what the parent's chain has above ours.
func addNew(cm *chain.Manager) error {
	resp, err := http.Get(fmt.Sprintf("%s/chain/blocks?above=%d", *nodeURL, cm.Tip().Height))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var blocks []types.Block
	if err := json.NewDecoder(resp.Body).Decode(&blocks); err != nil || len(blocks) == 0 {
		return err
	}
	return cm.AddBlocks(blocks)
}

// follow keeps up with the parent's chain; when it returns, all is here that was there. A child whose parent is gone
// ends.
func follow(ctx context.Context, cm *chain.Manager) error {
	if err := addNew(cm); err != nil {
		return err
	}
	go func() {
		for ctx.Err() == nil {
			time.Sleep(50 * time.Millisecond)
			if err := addNew(cm); err != nil && ctx.Err() == nil {
				fatal("chain: %v", err)
			}
		}
	}()
	return nil
}

// ---- the process that has the chain and the hosts ----

type node struct {
	cm    *chain.Manager
	hosts []*simHost
	args  []string // the child's
	proxy *httputil.ReverseProxy

	mu        sync.Mutex
	cmd       *exec.Cmd // nil while renterd does not run
	s3, admin string
}

func (n *node) serveBlocks(rw http.ResponseWriter, r *http.Request) {
	above, _ := strconv.ParseUint(r.FormValue("above"), 10, 64)
	blocks := []types.Block{}
	for h := above + 1; len(blocks) < 1000; h++ {
		index, ok := n.cm.BestIndex(h)
		if !ok {
			break
		}
		b, ok := n.cm.Block(index.ID)
		if !ok {
			break
		}
		blocks = append(blocks, b)
	}
	json.NewEncoder(rw).Encode(blocks)
}

func (n *node) takeTxns(rw http.ResponseWriter, r *http.Request) {
	var set txnSet
	err := json.NewDecoder(r.Body).Decode(&set)
	if err == nil {
		_, err = n.cm.AddV2PoolTransactions(set.Basis, set.Txns)
	}
	answer(rw, err)
}

func answer(rw http.ResponseWriter, err error) {
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
	}
}

// start begins renterd, at the addresses that it had.
func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd != nil {
		return errors.New("it runs")
	}
	cmd := exec.Command("/proc/self/exe", append(n.args, "-s3", n.s3, "-admin", n.admin)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	} else if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, scan := fmt.Sscanf(line, "READY %s %s", &n.s3, &n.admin); err != nil || scan != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return fmt.Errorf("renterd did not start: %q", line)
	}
	n.cmd = cmd
	return nil
}

func (n *node) end(sig os.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return errors.New("it does not run")
	}
	n.cmd.Process.Signal(sig)
	n.cmd.Wait()
	n.cmd = nil
	return nil
}

func (n *node) operateHost(rw http.ResponseWriter, r *http.Request) {
	i, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || i < 0 || i >= len(n.hosts) {
		http.Error(rw, "no such host", http.StatusNotFound)
		return
	}
	switch r.PathValue("op") {
	case "stop":
		n.hosts[i].stop()
	case "start":
		err = n.hosts[i].start()
	default:
		err = errors.New("unknown operation")
	}
	answer(rw, err)
}

func (n *node) operateRenterd(rw http.ResponseWriter, r *http.Request) {
	switch r.PathValue("op") {
	case "kill":
		answer(rw, n.end(syscall.SIGKILL))
	case "start":
		answer(rw, n.start())
	default:
		answer(rw, errors.New("unknown operation"))
	}
}

// makeHosts makes and funds them, and the renter; all is confirmed.
func (n *node) makeHosts(renter types.Address) {
	n.hosts = make([]*simHost, *numHosts)
	for i := range n.hosts {
		n.hosts[i] = must(newSimHost(n.cm))
	}
	check(mine(n.cm, types.VoidAddress, 3))
	for _, h := range n.hosts {
		check(mine(n.cm, h.wallet.Address(), 4))
	}
	check(mine(n.cm, renter, 20+*numHosts))
	check(mine(n.cm, types.VoidAddress, 2)) // mature
	for i, h := range n.hosts {
		if err := h.announce(); err != nil {
			fatal("announce host %d: %v", i, err)
		}
	}
	check(mine(n.cm, types.VoidAddress, 1))
}

func (n *node) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /chain/blocks", n.serveBlocks)
	mux.HandleFunc("POST /chain/txns", n.takeTxns)
	mux.HandleFunc("POST /mine", func(rw http.ResponseWriter, r *http.Request) {
		answer(rw, mine(n.cm, types.VoidAddress, 1))
	})
	mux.HandleFunc("POST /hosts/{n}/{op}", n.operateHost)
	mux.HandleFunc("POST /renterd/{op}", n.operateRenterd)
	mux.Handle("/", n.proxy) // renterd's own
	return mux
}

func runNode(ctx context.Context) {
	dir := *dataDir
	if dir == "" {
		dir = must(os.MkdirTemp("", "rig"))
		defer os.RemoveAll(dir)
	}
	check(os.MkdirAll(dir, 0o700))
	seed := types.GeneratePrivateKey()
	secret := hex.EncodeToString(frand.Bytes(16))
	l := must(net.Listen("tcp", *adminAddr))
	base := "http://" + l.Addr().String()
	n := &node{cm: newChain(), s3: *s3Addr, admin: "127.0.0.1:0",
		args: append(os.Args[1:], "-node", base, "-seed", hex.EncodeToString(seed), "-password", secret, "-dir", dir)}
	n.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(must(url.Parse("http://" + n.admin)))
	}}
	n.makeHosts(types.StandardUnlockHash(seed.PublicKey()))
	step(fmt.Sprintf("chain at %d, hosts announced", n.cm.Tip().Height))
	srv := &http.Server{Handler: n.handler()}
	go srv.Serve(l)
	check(n.start())
	fmt.Printf("READY s3=http://%s admin=%s bucket=%s key=%s secret=%s password=%s\n", n.s3, base, *bucket, *accessKey, *secretKey,
		secret)
	if *blockEvery > 0 {
		go func() {
			for range time.Tick(*blockEvery) {
				if err := mine(n.cm, types.VoidAddress, 1); err != nil {
					fatal("mining: %v", err)
				}
			}
		}()
	}
	<-ctx.Done()
	n.end(syscall.SIGTERM)
	srv.Close()
	for _, h := range n.hosts {
		h.stop()
	}
}
