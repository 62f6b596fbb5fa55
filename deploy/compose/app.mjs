// A stand-in for your app: it holds no credential, and asks once a minute who it is.
// The first process of a container ends by no signal that it does not handle.
process.on('SIGTERM', () => process.exit(0))

for (;;) {
  try {
    const answer = await fetch('https://api.github.com/user', { headers: { 'user-agent': 'app' } })
    console.log(answer.status, (await answer.text()).slice(0, 200))
  } catch (error) {
    console.log(String(error.cause ?? error))
  }
  await new Promise((resolve) => setTimeout(resolve, 60_000))
}
