// For each HOST=PORT after the CA file: whether the certificate presented there is valid for HOST.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
)

func main() {
	pem, err := os.ReadFile(os.Args[1])
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		fmt.Println("no CA file", err)
		os.Exit(1)
	}
	for _, target := range os.Args[2:] {
		host, port, _ := strings.Cut(target, "=")
		connection, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{ServerName: host, RootCAs: roots})
		if err != nil {
			fmt.Println("refused:", strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		connection.Close()
		fmt.Println("ok")
	}
}
