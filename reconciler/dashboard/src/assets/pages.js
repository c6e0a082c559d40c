// The pages. Each asks the server and returns nodes; what can be done is shown as the command that does it.

import { ask, badge, command, el, path, short, table, when } from './dom.js'

const STATES = ['failed', 'out-of-sync', 'degraded', 'blocked', 'progressing', 'suspended', 'unknown', 'synced']

/** What is looked for in the list of apps; kept while pages change. */
const wanted = { q: '', state: '' }

const held = (holds) => holds.map((hold) =>
  el('p', { class: 'hold' }, badge(hold.kind), ' ', hold.app ? `${hold.env}/${hold.app}: ` : '', hold.message))

/** All apps. */
export async function apps() {
  const list = el('div', { id: 'list' })
  const fill = async () => {
    const asked = { ...wanted }
    const all = await ask('overview', asked)
    if (asked.q !== wanted.q || asked.state !== wanted.state) return
    const total = Object.values(all.counts).reduce((a, b) => a + b, 0)
    const chip = (state, count) => el('button', {
      type: 'button', class: 'chip', id: `state-${state || 'all'}`, 'aria-pressed': String(wanted.state === state),
      onclick: () => { wanted.state = state; fill() },
    }, state ? badge(state) : 'all', ` ${count}`)
    const rows = all.rows.map((row) => [
      el('a', { href: path('app', row.env, row.name) }, row.name), row.env, row.cluster, badge(row.state),
      short(row.commit), el('span', { class: 'message' }, row.message),
    ])
    list.replaceChildren(
      el('div', { class: 'chips', role: 'group', 'aria-label': 'States' },
        chip('', total), STATES.filter((state) => all.counts[state]).map((state) => chip(state, all.counts[state]))),
      ...held(all.holds),
      table(['App', 'Environment', 'Cluster', 'State', 'Commit', ''], rows,
        total === 0 ? 'Nothing is deployed yet: push a commit.' : 'No app is like that.'),
      all.found > rows.length ? el('p', { class: 'dim' }, `${all.found - rows.length} more; look for a name to see them.`) : '')
  }
  const search = el('input', {
    type: 'search', id: 'search', placeholder: 'Name, environment, cluster, commit …', 'aria-label': 'Look for apps',
    value: wanted.q, oninput: () => { wanted.q = search.value; fill() },
  })
  await fill()
  return [el('h1', null, 'Apps'), search, list]
}

/** What stands in the way, as a tree. */
const tree = (node) => el('li', null,
  badge(node.state), ' ', el('strong', null, node.subject), node.reason ? `: ${node.reason}` : '',
  node.at ? el('span', { class: 'dim' }, ' ', node.at) : '',
  node.because?.length ? el('ul', null, node.because.map(tree)) : '')

function deploys(page) {
  const rows = page.deploys.map((deploy) => [
    `#${deploy.number}`, when(deploy.time), short(deploy.commit),
    el('div', { class: 'words' }, deploy.subject, el('div', { class: 'dim' }, deploy.author,
      deploy.actor ? `, brought by ${deploy.actor}` : '',
      deploy.rollback ? el('span', null, ', rollback to ', short(deploy.rollback.to)) : '')),
    el('code', { title: 'created, updated, deleted, unchanged' },
      `+${deploy.counts.create} ~${deploy.counts.update} -${deploy.counts.delete} =${deploy.counts.unchanged}`),
    badge(deploy.state, deploy.reasons?.join('; ')),
    deploy.was_healthy
      ? el('details', { id: `deploy-${deploy.number}` }, el('summary', null, 'back to this'),
        command('rollback', page.app.name, '--env', page.app.env, '--to', deploy.commit.slice(0, 10), page.arguments))
      : '',
  ])
  return table(['Deploy', 'Time', 'Commit', '', 'Objects', 'State', ''], rows, 'It was never deployed.')
}

/** What would be written now. */
function planned(plan) {
  if (!plan || plan.actions.every((action) => action.verb === 'unchanged')) {
    return [el('p', null, 'The cluster has what the commit declares.')]
  }
  return [
    ...(plan.held ?? []).map((why) => el('p', { class: 'hold' }, badge('blocked'), ' ', why)),
    ...plan.actions.filter((action) => action.verb !== 'unchanged').map((action) => el('div', { class: 'action' },
      badge(action.verb), ' ', el('strong', null, `${action.key.kind} ${action.key.namespace ?? ''}/${action.key.name}`),
      ` ${action.reason}`, action.at ? el('span', { class: 'dim' }, ' ', action.at) : '',
      el('ul', null, (action.changes ?? []).map(changed)))),
  ]
}

/** A field that is added, removed or changed. */
function changed(change) {
  return el('li', null, el('code', null, change.path), ': ',
    change.change === 'added' ? 'nothing' : el('del', null, JSON.stringify(change.old)), ' → ',
    change.change === 'removed' ? 'nothing' : el('ins', null, JSON.stringify(change.new)),
    change.at ? el('span', { class: 'dim' }, ' ', change.at) : '')
}

/** The last comparison, which stays while its page is refreshed. */
const compared = { app: '', nodes: [] }

/** One app. */
export async function app(env, name) {
  const page = await ask('app', { env, app: name })
  const { app } = page
  const objects = app.objects.map((one) => [
    el('a', { href: path('object', env, name, one.kind, one.namespace, one.name) }, one.name), one.kind,
    one.namespace ?? '', badge(one.health), el('span', { class: 'message' }, one.message ?? ''),
  ])
  const mine = `${env}/${name}`
  const plan = el('div', { id: 'plan' }, compared.app === mine ? compared.nodes : '')
  const tell = (...nodes) => {
    Object.assign(compared, { app: mine, nodes })
    document.getElementById('plan')?.replaceChildren(...nodes)
  }
  const compare = el('button', {
    type: 'button', id: 'compare', onclick: async () => {
      tell(el('p', { class: 'dim' }, 'Asking the cluster …'))
      const made = await ask('plan', { env, app: name }).then(({ plan }) => planned(plan), (error) => [
        el('p', { class: 'trouble' }, error.message)])
      tell(...made)
    },
  }, 'Compare with the cluster')
  const act = (verb, ...more) => command(verb, name, '--env', env, more, page.arguments)
  return [
    el('h1', null, name, ' ', el('span', { class: 'dim' }, `in ${env}`), ' ', badge(page.state)),
    el('p', { class: 'dim' }, `cluster ${app.cluster}, namespace ${app.namespace}, commit `, short(app.commit),
      app.deployed && app.deployed !== app.commit ? [', unchanged since ', short(app.deployed)] : ''),
    app.message ? el('p', { class: page.state === 'synced' ? '' : 'trouble' }, app.message) : '',
    ...held(page.holds),
    ...(app.notes ?? []).map((note) => el('p', { class: 'note' }, note)),
    page.why ? el('section', null, el('h2', null, 'Why'), el('ul', { class: 'why' }, tree(page.why))) : '',
    el('section', null, el('h2', null, 'Objects'),
      table(['Object', 'Kind', 'Namespace', 'Health', ''], objects, 'It has no objects.'), compare, plan),
    el('section', null, el('h2', null, 'Deploys'), deploys(page),
      el('p', null, el('a', { href: path('log', env, name) }, 'Everything that happened'))),
    el('section', null, el('h2', null, 'Commands'), act('sync'),
      app.sync === 'suspended' ? act('resume') : act('suspend'),
      app.sync === 'blocked' ? act('approve') : '',
      act('rollback', '--to', 'last-healthy')),
  ].filter(Boolean)
}

/** The next step of a field's path: `.image`, `["web"]`, `[0]`. */
function step(parent, key, child) {
  if (!Array.isArray(parent)) return /^[A-Za-z_]\w*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
  const name = child?.name
  const isKey = typeof name === 'string' && parent.filter((one) => one?.name === name).length === 1
  return isKey ? `[${JSON.stringify(name)}]` : `[${key}]`
}

/** The lines of an object, as YAML writes it; each value can be asked who wrote it. */
function lines(value, at, depth, ask) {
  const pad = '  '.repeat(depth)
  return Object.entries(value).flatMap(([key, child]) => {
    const here = at + step(value, key, child)
    const head = Array.isArray(value) ? `${pad}- ` : `${pad}${key}: `
    if (child !== null && typeof child === 'object' && Object.keys(child).length) {
      return [el('div', null, Array.isArray(value) ? `${pad}-` : `${pad}${key}:`), ...lines(child, here, depth + 1, ask)]
    }
    const field = here.replace(/^\./, '')
    return [el('div', null, head, el('button', {
      type: 'button', class: 'field', 'data-field': field, title: `Who wrote ${field}?`, onclick: () => ask(field),
    }, JSON.stringify(child)))]
  })
}

/** Who wrote the lines that a field comes from. */
function blamed(found) {
  const rows = found.lines.map((line, at) => [
    badge(at === found.decides ? 'decides' : line.how), el('code', null, line.at), line.layer,
    line.brought_by
      ? el('div', { class: 'words' }, short(line.brought_by), ` ${line.subject}`, el('div', { class: 'dim' }, `${line.author}, `, when(line.time)))
      : el('span', { class: 'dim' }, 'not in the repository'),
    el('code', null, line.text ?? ''),
  ])
  return [
    el('h2', null, found.field), el('p', null, el('code', null, found.value)),
    table(['', 'Line', 'Layer', 'Commit', ''], rows, 'No line says it.'),
  ]
}

/** One object as it was deployed. */
export async function object(env, app, kind, namespace, name) {
  const asked = { env, app, kind, namespace, name }
  const { found, arguments: target } = await ask('object', asked)
  const side = el('aside', { id: 'blame', 'aria-live': 'polite' },
    el('p', { class: 'dim' }, 'Choose a value to see which line of which commit wrote it.'))
  let last = ''
  const who = async (field) => {
    last = field
    side.replaceChildren(el('p', { class: 'dim' }, `Looking for the lines of ${field} …`))
    const made = await ask('blame', { ...asked, field }).then(blamed, (error) => [
      el('h2', null, field), el('p', { class: 'dim' }, error.message)])
    if (last !== field) return
    const scope = ['--env', env, '--app', app, ...(namespace ? ['--namespace', namespace] : [])]
    side.replaceChildren(...made, command('blame', `${kind.toLowerCase()}/${name}`, field, scope, target))
  }
  return [
    el('h1', null, `${kind} ${name}`, ' ', el('span', { class: 'dim' }, namespace ? `in ${namespace}` : '')),
    el('p', { class: 'dim' }, 'of ', el('a', { href: path('app', env, app) }, `${env}/${app}`), ', as commit ',
      short(found.deploy.commit), ' declares it; values of Secrets are left out'),
    el('div', { class: 'object' }, el('div', { class: 'yaml' }, lines(found.object, '', 0, who)), side),
  ]
}

/** What happened, newest first. */
export async function log(env, app) {
  const rows = []
  const body = el('div')
  const more = el('button', { type: 'button', id: 'older', onclick: () => older() }, 'Older')
  const older = async () => {
    const page = await ask('log', { env, app, before: rows.at(-1)?.seq })
    rows.push(...page.records)
    more.hidden = page.is_all
    body.replaceChildren(table(['Time', 'App', 'What'], rows.map((row) => [
      when(row.time_ms),
      row.app ? el('a', { href: path('app', row.env, row.app) }, `${row.env}/${row.app}`) : '',
      row.what,
    ]), 'Nothing happened yet.'))
  }
  await older()
  return [el('h1', null, 'Log', app ? el('span', { class: 'dim' }, ` of ${env}/${app}`) : ''), body, more]
}
