// Go's net/http through an HTTPS proxy, with a client certificate: PROXY, PROXY_CA, CERT, KEY, ORIGIN_CA.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
)

func main() {
	proxy, err := url.Parse(os.Getenv("PROXY"))
	if err != nil {
		log.Fatal(err)
	}
	certificate, err := tls.LoadX509KeyPair(os.Getenv("CERT"), os.Getenv("KEY"))
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	for _, name := range []string{"PROXY_CA", "ORIGIN_CA"} {
		pem, err := os.ReadFile(os.Getenv(name))
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			log.Fatal("no certificates in ", name)
		}
	}
	client := &http.Client{Transport: &http.Transport{
		Proxy:           http.ProxyURL(proxy),
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}},
	}}
	answer, err := client.Get(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(os.Stdout, answer.Body); err != nil {
		log.Fatal(err)
	}
	if answer.StatusCode != 200 {
		os.Exit(1)
	}
}
