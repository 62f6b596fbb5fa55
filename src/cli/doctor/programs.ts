/** What a program of ours ends with when the library that it is about is not installed. */
export const NOT_INSTALLED = 97

/** Python's own TLS. Arguments: proxy URL, URL. */
export const URLLIB = `
import sys, urllib.request
proxy = urllib.request.ProxyHandler({'https': sys.argv[1]})
urllib.request.build_opener(proxy).open(sys.argv[2], timeout=8)
`

/** Arguments: proxy URL, URL. */
export const REQUESTS = `
import sys
try:
    import requests
except ImportError:
    sys.exit(${NOT_INSTALLED})
requests.get(sys.argv[2], proxies={'https': sys.argv[1]}, timeout=8)
`

/** Opens its tunnel itself, because few versions of Node read the proxy variables. Arguments: port of the proxy, host. */
export const NODE = `
const [, port, host] = process.argv
const { request } = await import('node:http')
const { connect } = await import('node:tls')
request({ host: '127.0.0.1', port, method: 'CONNECT', path: host + ':443', agent: false })
  .on('connect', (_response, socket) => {
    const secured = connect({ socket, servername: host })
    secured.on('error', () => process.exit(1)).resume()
    secured.write('GET / HTTP/1.1\\r\\nHost: ' + host + '\\r\\nConnection: close\\r\\n\\r\\n')
  })
  .end()
`

/** Arguments: port of the proxy, host. */
export const JAVA = `
import java.net.*;
class Probe {
    public static void main(String[] args) throws Exception {
        var proxy = new Proxy(Proxy.Type.HTTP, new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])));
        var asked = (HttpURLConnection) new URL("https://" + args[1] + "/").openConnection(proxy);
        asked.setReadTimeout(8000);
        asked.getResponseCode();
    }
}
`
