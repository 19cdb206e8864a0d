module s3vtl-renterd-rig

go 1.26.0

require (
	go.sia.tech/core v0.21.6
	go.sia.tech/coreutils v0.23.5
	go.sia.tech/renterd/v2 v2.9.3
	go.uber.org/zap v1.28.0
	lukechampine.com/frand v1.5.1
)

require (
	github.com/aws/aws-sdk-go v1.55.8 // indirect
	github.com/dunglas/httpsfv v1.1.0 // indirect
	github.com/gabriel-vasile/mimetype v1.4.13 // indirect
	github.com/gotd/contrib v0.24.0 // indirect
	github.com/julienschmidt/httprouter v1.3.0 // indirect
	github.com/klauspost/cpuid/v2 v2.3.0 // indirect
	github.com/klauspost/reedsolomon v1.14.1 // indirect
	github.com/mattn/go-sqlite3 v1.14.47 // indirect
	github.com/montanaflynn/stats v0.10.0 // indirect
	github.com/quic-go/qpack v0.6.0 // indirect
	github.com/quic-go/quic-go v0.60.0 // indirect
	github.com/quic-go/webtransport-go v0.11.1 // indirect
	github.com/ryszard/goskiplist v0.0.0-20150312221310-2dfbae5fcf46 // indirect
	github.com/shopspring/decimal v1.4.0 // indirect
	go.etcd.io/bbolt v1.5.0 // indirect
	go.sia.tech/gofakes3 v0.0.5 // indirect
	go.sia.tech/jape v0.14.1 // indirect
	go.sia.tech/mux v1.5.2 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	golang.org/x/crypto v0.54.0 // indirect
	golang.org/x/net v0.56.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/text v0.40.0 // indirect
	golang.org/x/time v0.15.0 // indirect
	golang.org/x/tools v0.47.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)
