"""Asks by new connections, one after the other on each of six threads, until the file named is there. Prints what came of it."""
import collections, os, socket, sys, threading

stop = sys.argv[1]
came = collections.Counter()


def ask(is_unix):
    made = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET)
    made.settimeout(60)
    try:
        made.connect('/run/sallyport/crm.sock' if is_unix else ('127.0.0.1', 15001))
        head = 'GET /v1/contacts/7' if is_unix else 'GET http://api.crm.example.com/v1/contacts/7'
        made.sendall(f'{head} HTTP/1.1\r\nHost: {"localhost" if is_unix else "api.crm.example.com"}\r\n\r\n'.encode())
        return made.recv(12).decode() or 'closed'
    except OSError as error:
        return repr(error)
    finally:
        made.close()


def loop(is_unix):
    while not os.path.exists(stop):
        came[ask(is_unix)] += 1


threads = [threading.Thread(target=loop, args=(at % 2 == 0,)) for at in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for words, count in sorted(came.items()):
    print(count, words)
