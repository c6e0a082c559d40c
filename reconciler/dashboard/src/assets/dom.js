// Small pieces that pages are made of. Text from outside becomes text nodes and attributes only, never markup.

/** Makes an element. Attributes that are null or false are left out; `on…` are listeners. */
export function el(tag, attributes, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value)
    else node.setAttribute(name, value === true ? '' : value)
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ''))
  return node
}

/** A state, with a word beside its color. */
export const badge = (state, title) => el('span', { class: `badge ${state}`, title }, state)

/** The beginning of a commit or hash, with the whole of it as a title. */
export const short = (commit) => el('code', { title: commit }, (commit ?? '').slice(0, 10))

/** A table; rows are lists of cells. */
export function table(heads, rows, empty) {
  if (rows.length === 0) return el('p', { class: 'dim' }, empty)
  return el('div', { class: 'wide' },
    el('table', null,
      el('thead', null, el('tr', null, heads.map((head) => el('th', { scope: 'col' }, head)))),
      el('tbody', null, rows.map((cells) => el('tr', null, cells.map((cell) => el('td', null, cell)))))))
}

/** A word as a shell takes it. */
export const quoted = (word) => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

/** A command to be copied. */
export function command(...words) {
  const text = ['ordain', ...words.flat()].map(quoted).join(' ')
  const button = el('button', {
    type: 'button', class: 'copy', title: 'Copy', onclick: async () => {
      await navigator.clipboard.writeText(text)
      button.textContent = 'copied'
      setTimeout(() => { button.textContent = 'copy' }, 1500)
    },
  }, 'copy')
  return el('div', { class: 'command' }, el('code', null, text), button)
}

/** A moment, as people of this place write it; to the second, in UTC, as a title. */
export function when(time) {
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return String(time)
  const shown = date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
  return el('time', { datetime: date.toISOString(), title: date.toISOString() }, shown)
}

/** A link within the dashboard; parts are made fit for an address. */
export const path = (...parts) => '#/' + parts.map((part) => encodeURIComponent(part ?? '')).join('/')

/** Asks the server. */
export async function ask(what, parameters) {
  const query = new URLSearchParams(Object.entries(parameters ?? {}).filter(([, value]) => value))
  const response = await fetch(`/api/${what}?${query}`)
  const body = await response.json()
  if (!response.ok) throw new Error(body.error)
  return body
}
