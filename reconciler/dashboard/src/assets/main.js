// Which page is shown, and when it is asked for anew.

import { el, short } from './dom.js'
import { app, apps, log, object } from './pages.js'

const page = document.getElementById('page')
const live = document.getElementById('live')

/** The number of the look that is shown last: a slow answer must not cover a newer one. */
let look = 0

function place() {
  const [what, ...parts] = location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent)
  switch (what) {
    case 'app': return () => app(...parts)
    case 'object': return () => object(...parts)
    case 'log': return () => log(...parts)
    default: return () => apps()
  }
}

/** Shows the page of the address. A page that is only refreshed keeps what somebody types or has opened. */
async function show(isNew) {
  const mine = ++look
  if (isNew) page.replaceChildren(el('p', { class: 'dim' }, 'Loading …'))
  try {
    const made = await place()()
    if (mine !== look) return
    const focus = document.activeElement?.id
    const opened = [...page.querySelectorAll('details[open]')].map((one) => one.id)
    page.replaceChildren(...made)
    for (const id of opened) document.getElementById(id)?.setAttribute('open', '')
    if (focus) document.getElementById(focus)?.focus()
    if (isNew) scrollTo(0, 0)
  } catch (error) {
    if (mine === look) page.replaceChildren(el('p', { class: 'trouble', role: 'alert' }, error.message))
  }
}

/** Says in the head where everything comes from. */
function tell(source) {
  document.getElementById('source').replaceChildren(
    el('span', { class: 'dim' }, source.repository, ' ', source.branch, ' '),
    source.commit ? short(source.commit) : 'no commit yet',
    source.message ? el('span', { class: 'trouble' }, ' ', source.message) : '')
}

for (const link of document.querySelectorAll('nav a')) {
  const mark = () => link.toggleAttribute('aria-current', location.hash.split('/')[1] === link.hash.split('/')[1])
  addEventListener('hashchange', mark)
  mark()
}
addEventListener('hashchange', () => show(true))

const events = new EventSource('/api/events')
events.onmessage = ({ data }) => {
  const { source } = JSON.parse(data)
  live.textContent = 'live'
  live.className = 'on'
  // Without a reconciler there is none, and the page says so.
  if (source) tell(source)
  // An object and the log are as they were asked for: whoever reads is not disturbed.
  if (/^#?\/?(app\/.*)?$/.test(location.hash)) show(false)
}
events.onerror = () => {
  live.textContent = 'not connected'
  live.className = 'off'
}
show(true)
