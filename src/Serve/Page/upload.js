(() => {
  const { $, percent, clock, plural, element, svg, show, say, call } = page;
  const isId = text => /^[0-9a-f]{32}$/.test(text || '');
  const isUnderWay = item => item.state === 'queued' || item.state === 'running';

  /** Milliseconds between looks at the videos under way. */
  const LIST_PAUSE = 1000, LOOK_PAUSE = 500;

  // An item is a video of the list, as GET /api/videos has it; one that has not been sent yet has its file and no id.
  let items = [], selected = null, upload = null, limits = null, current = null, result = null, cursor = -1, poll = 0, listing = 0;

  async function health() {
    const facts = await call('/api/health');
    limits = facts.limits;
    const random = facts.model.backbone.startsWith('random') ? 'The backbone is random: fine for trying this out, no match for trained weights.' : '';
    show('note', [facts.note, random].filter(Boolean).join(' '));
    const busy = facts.queue.running + facts.queue.waiting;
    show('queue', busy ? plural(busy, 'video', 'videos') + ' at work' : '');
    $('limit').textContent = 'Up to ' + +(limits.upload_bytes / 1e6).toPrecision(3) + ' MB each, several at once. They stay on this server and are deleted as soon as there is an answer.';
    $('facts').textContent = 'Model ' + facts.model.name + ' (' + facts.model.file + ', epoch ' + facts.model.epoch + ') · windows of ' + facts.window + ' s every ' + facts.stride + ' s · '
      + (facts.classes ? 'classes ' + facts.classes.map(name => name + (facts.thresholds && name in facts.thresholds ? ' (from ' + percent(facts.thresholds[name]) + ' on)' : '')).join(', ') : 'threshold ' + facts.threshold.toFixed(3)) + ' · backbone: ' + facts.model.backbone + ' · ' + facts.device + ' · version ' + facts.version;
  }

  // ---- sending videos, one after the other

  /** Puts files into the list, and shows the first of them. */
  function take(files) {
    const wrong = [], taken = [];
    for (const file of files) {
      if (file.size === 0) wrong.push('“' + file.name + '” is empty.');
      else if (limits && file.size > limits.upload_bytes) {
        wrong.push('“' + file.name + '” has ' + (file.size / 1e6).toFixed(1) + ' MB; at most ' + +(limits.upload_bytes / 1e6).toPrecision(3) + ' MB are taken.');
      } else taken.push({ id: null, name: file.name, state: 'waiting', text: 'Waiting to be sent', share: null, file });
    }
    if (taken.length) {
      items.push(...taken);
      select(taken[0]);
      sendNext();
    } else {
      reset();
    }
    show('error', wrong.join(' '));
    list();
  }

  function sendNext() {
    const item = items.find(other => other.state === 'waiting');
    if (upload || !item) return;
    tell(item, 'sending', 'Uploading …', 0);
    if (item === selected) say('Uploading');
    const form = new FormData();
    form.append('video', item.file, item.name);
    const request = upload = new XMLHttpRequest();
    request.open('POST', '/api/videos');
    request.responseType = 'json';
    request.upload.onprogress = event => tell(item, 'sending', 'Uploading …', event.total ? event.loaded / event.total : null);
    request.onload = () => {
      upload = null;
      const answer = request.response, wait = Number(request.getResponseHeader('Retry-After'));
      if (request.status === 202 && answer) {
        Object.assign(item, answer);
        if (item === selected) watch(item.id);
        refresh();
      } else if (wait > 0) {
        tell(item, 'waiting', answer.error.message, null);
        return setTimeout(sendNext, 1000 * wait);
      } else {
        giveUp(item, answer && answer.error ? answer.error.message : 'The upload failed (' + request.status + ').');
      }
      sendNext();
    };
    request.onerror = () => {
      upload = null;
      giveUp(item, 'The upload broke off: the server is gone, or refused it.');
      sendNext();
    };
    request.send(form);
    request.item = item;
  }

  /** What a video that is not on the server yet is at. */
  function tell(item, state, text, share) {
    Object.assign(item, { state, text, share });
    if (item === selected) working(item.name, text, share);
    list();
  }

  function giveUp(item, message) {
    Object.assign(item, { state: 'failed', error: { code: 'upload', message } });
    if (item === selected) fail(item.name + ': ' + message);
    list();
  }

  // ---- the list

  /** Takes over what the server says of the videos of this browser. */
  async function refresh() {
    clearTimeout(listing);
    try {
      const found = (await call('/api/videos')).videos;
      for (const video of found) {
        const known = items.find(item => item.id === video.id);
        if (known) Object.assign(known, video, { isListed: true });
        else items.push({ ...video, isListed: true });
      }
      // What was listed and is no more has expired, or was deleted elsewhere.
      items = items.filter(item => !item.isListed || found.some(video => video.id === item.id));
      list();
    } catch { /* the page says so where it matters: at the video that is looked at */ }
    if (items.some(isUnderWay)) listing = setTimeout(refresh, LIST_PAUSE);
  }

  const time = text => new Date(text).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });

  function stateOf(item) {
    switch (item.state) {
      case 'queued': return 'number ' + item.position + ' in line';
      case 'running': return item.progress_seconds.toFixed(1) + ' s of video done';
      case 'done': return 'uploaded ' + time(item.uploaded);
      case 'failed': return item.error.message;
      default: return item.text;
    }
  }

  /** Leaves alone what is so already. */
  function write(part, text) {
    if (part.textContent !== text) part.textContent = text;
  }

  function rowOf(item) {
    if (!item.row) {
      const open = element('button', { type: 'button', class: 'open' }, element('span', { class: 'name' }), element('span', { class: 'quiet' }));
      const away = element('button', { type: 'button', title: 'Delete' }, '×');
      open.onclick = () => { show('error', ''); select(item); };
      away.onclick = () => drop(item);
      item.row = element('li', {}, open, element('span', { class: 'tag' }), away);
    }
    const [open, tag, away] = item.row.children;
    write(open.firstChild, item.name);
    write(open.lastChild, stateOf(item));
    away.setAttribute('aria-label', 'Delete ' + item.name);
    write(tag, item.state === 'done' ? percent(item.score) + ' ' + item.label : item.state);
    item.row.className = item.state + (item.label === 'violent' ? ' violent' : '');
    if (item === selected) open.setAttribute('aria-current', 'true');
    else open.removeAttribute('aria-current');
    return item.row;
  }

  /** Draws the list: what is still to be sent, then the newest first. */
  function list() {
    const sorted = [...items.filter(item => !item.uploaded), ...items.filter(item => item.uploaded).sort((a, b) => a.uploaded < b.uploaded ? 1 : -1)];
    const rows = sorted.map(rowOf), focused = document.activeElement;
    if (rows.length !== $('list').children.length || rows.some((row, i) => row !== $('list').children[i])) {
      $('list').replaceChildren(...rows);
      if ($('list').contains(focused)) focused.focus();
    }
    $('history').hidden = !items.length;
  }

  /** Shows a video: its answer, or how far it is. */
  function select(item) {
    reset();
    selected = item;
    if (item.id) watch(item.id);
    else if (item.state === 'failed') fail(item.name + ': ' + item.error.message);
    else working(item.name, item.text, item.share);
    list();
  }

  /** Takes a video off the list and off the server. */
  async function drop(item) {
    if (upload && upload.item === item) {
      upload.onerror = upload.onload = upload.upload.onprogress = null;
      upload.abort();
      upload = null;
    }
    items = items.filter(other => other !== item);
    if (item === selected) reset();
    list();
    $('file').focus();
    show('error', '');
    sendNext();
    try {
      if (item.id) await call('/api/videos/' + item.id, { method: 'DELETE' });
    } catch (error) {
      if (error.status !== 404) show('error', error.message);
    }
  }

  // ---- the video that is shown

  function watch(id) {
    current = id;
    history.replaceState(null, '', '?id=' + id);
    look(id);
  }

  async function look(id) {
    let job;
    try {
      job = await call('/api/videos/' + id);
    } catch (error) {
      return id === current && fail(error.message);
    }
    if (id !== current) return;
    if (job.state === 'done') {
      $('job').hidden = true;
      present(job);
      refresh();
    } else if (job.state === 'failed') {
      refresh();
      fail(job.name + ': ' + job.error.message);
    } else {
      const length = $('player').duration;
      say(job.state === 'queued' ? 'Waiting' : 'Looking at the video');
      if (job.state === 'queued') working(job.name, job.position === 1 ? 'Waiting: next in line' : 'Waiting: number ' + job.position + ' in line', null);
      else working(job.name, 'Looking at it: ' + job.progress_seconds.toFixed(1) + (length > 0 ? ' of ' + length.toFixed(1) : '') + ' s of video done', length > 0 ? Math.min(1, job.progress_seconds / length) : null);
      poll = setTimeout(look, LOOK_PAUSE, id);
    }
  }

  // ---- states of the page

  function working(name, text, share) {
    document.body.classList.add('small');
    $('job').hidden = false;
    $('job-name').textContent = name;
    $('job-state').textContent = text;
    if (share === null) $('job-progress').removeAttribute('value');
    else $('job-progress').value = share;
    play();
  }

  /** Where the video lies on this machine, the page plays it. */
  function play() {
    if (selected && selected.file && !$('player').src) $('player').src = URL.createObjectURL(selected.file);
  }

  function fail(message) {
    const item = selected;
    reset();
    selected = item;
    show('error', message);
    list();
  }

  function reset() {
    clearTimeout(poll);
    if ($('player').src) {
      URL.revokeObjectURL($('player').src);
      $('player').removeAttribute('src');
    }
    selected = current = result = null;
    $('player').hidden = $('job').hidden = $('result').hidden = true;
    document.body.classList.remove('small');
    document.title = 'Violence in videos – CudaTrainer';
    history.replaceState(null, '', location.pathname);
  }

  function remove() {
    drop(selected || { id: current });
  }

  // ---- the answer

  function present(job) {
    result = job.result;
    document.body.classList.add('small');
    $('result').hidden = false;
    // A model of other classes than violent and nonviolent has no threshold, or one for some classes, or for all: then a window may be called nothing.
    const classes = result.probabilities, label = result.label || 'no class';
    const score = !classes ? result.violent : result.label ? classes[result.label] : Math.max(...Object.values(classes));
    const isViolent = !classes && result.violent >= result.threshold, windows = result.windows, length = result.video.duration;
    $('result').classList.toggle('violent', isViolent);
    $('name').textContent = job.name;
    $('violent').textContent = percent(score);
    $('label').textContent = label;
    document.title = percent(score) + ' ' + label + ' – ' + job.name;
    $('summary').textContent = classes
      ? 'The mean of ' + plural(windows.length, 'window', 'windows') + ' in ' + clock(length) + ' of video: ' + Object.entries(classes).sort((a, b) => b[1] - a[1]).slice(0, 5).map(([name, p]) => name + ' ' + percent(p)).join(', ') + '.'
      : 'The highest of ' + plural(windows.length, 'window', 'windows') + ' in ' + clock(length) + ' of video; called violent from ' + percent(result.threshold) + ' on.';
    show('damage', result.error ? 'The file is damaged (' + result.status + '): ' + result.error + '. The answer is for what could be read.' : '');
    $('json').href = '/api/videos/' + job.id;
    play();
    $('player').hidden = !$('player').src || $('player').error !== null;

    $('chart-title').textContent = classes ? (result.thresholds ? 'The class over time' : 'The likeliest class over time') : 'Probability of violence over time';
    $('events-title').textContent = classes ? 'Stretches' : 'Events';
    $('score-title').textContent = classes ? (result.thresholds ? 'class' : 'likeliest class') : 'p(violent)';
    $('no-events').hidden = result.events.length > 0;
    $('events').replaceChildren(...result.events.map(event => {
      const button = element('button', { type: 'button' },
        element('strong', {}, clock(event.start) + ' – ' + clock(event.end)), element('span', {}, (classes ? event.label + ' ' : '') + 'up to ' + percent(event.peak) + ' at ' + clock(event.peak_time)));
      button.onclick = () => go(event.start, windowAt(event.peak_time));
      return element('li', {}, button);
    }));

    const heaviest = Math.max(...result.frames.map(frame => frame.attention || 0));
    $('frames-text').textContent = heaviest > 0
      ? 'What the model attends to most in the windows with the highest probability. The bar shows a frame’s share of its window’s attention.'
      : 'From the windows with the highest probability.';
    $('frames').replaceChildren(...result.frames.map(frame => {
      const text = element('div', {}, element('p', { class: 'row' }, element('strong', {}, clock(frame.time)), element('span', {}, classes ? called(windows[frame.window]) : percent(frame.violent))));
      if (frame.attention !== null) {
        text.append(
          svg('svg', { class: 'meter', viewBox: '0 0 100 6', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
            svg('rect', { width: 100, height: 6, rx: 3 }), svg('rect', { width: 100 * frame.attention / heaviest, height: 6, rx: 3 })),
          element('small', {}, 'attention ' + percent(frame.attention)));
      }
      const button = element('button', { type: 'button' },
        element('img', { src: frame.url, alt: 'Frame at ' + clock(frame.time), width: frame.width, height: frame.height }), text);
      button.onclick = () => go(frame.time, frame.window);
      return button;
    }));

    $('windows').replaceChildren(...windows.map(window => element('tr', {},
      element('td', {}, clock(window.start)), element('td', {}, clock(window.end)),
      element('td', window.smoothed >= result.threshold ? { class: 'high' } : {}, called(window)))));

    $('chart').setAttribute('aria-valuemax', windows.length - 1);
    draw();
    point(-1);
    legend();
    say(percent(score) + ' ' + label);
  }

  /** What a window is called, where there are other classes than violent and nonviolent, and how surely. */
  function called(window) {
    return (window.label ? window.label + ' ' : '') + percent(window.smoothed);
  }

  function legend() {
    const item = (mark, text) => element('li', {}, svg('svg', { viewBox: '0 0 18 10', 'aria-hidden': 'true' }, mark), text);
    const items = result.probabilities ? [item(svg('path', { class: 'line', d: 'M0 5H18' }), result.thresholds ? 'probability of the class that is called, or of the likeliest' : 'probability of the likeliest class')] : [
      item(svg('path', { class: 'line', d: 'M0 5H18' }), 'p(violent), red from the threshold on'),
      item(svg('path', { class: 'threshold', d: 'M0 5H18' }), 'threshold ' + percent(result.threshold)),
    ];
    if (result.events.length && !result.probabilities) items.push(item(svg('g', { class: 'above' }, svg('rect', { class: 'area', width: 18, height: 10 })), 'event'));
    if (result.windows[0].attention) items.push(item(svg('rect', { class: 'attention', width: 18, height: 10, rx: 2, opacity: 0.7 }), 'attention: the darker, the more the model looks there'));
    $('legend').replaceChildren(...items);
  }

  // ---- the chart

  /** Where window i begins to speak; for their number, the end. */
  function boundary(i) {
    const windows = result.windows, centre = w => (w.start + w.end) / 2;
    return i === 0 ? windows[0].start : i === windows.length ? windows[i - 1].end : (centre(windows[i - 1]) + centre(windows[i])) / 2;
  }

  function windowAt(time) {
    let low = 0, high = result.windows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (boundary(middle) <= time) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  let plot = null;

  function draw() {
    const windows = result.windows, end = result.video.duration, lane = windows[0].attention ? 10 : 0;
    const width = Math.max(260, $('chart').clientWidth), height = (width < 500 ? 230 : 280) + lane;
    const left = 44, right = width - 10, top = 12, bottom = height - 30 - (lane ? lane + 8 : 0);
    const x = time => left + (right - left) * time / end, y = p => bottom - (bottom - top) * p;
    const round = value => value.toFixed(1);
    plot = { x, y, left, right, end };

    const root = svg('svg', { viewBox: '0 0 ' + width + ' ' + height, height, 'aria-hidden': 'true' });
    for (const p of [0, 0.25, 0.5, 0.75, 1]) {
      root.append(svg('line', { class: 'grid', x1: left, x2: right, y1: round(y(p)), y2: round(y(p)) }), svg('text', { x: left - 8, y: round(y(p) + 4), 'text-anchor': 'end' }, 100 * p + ' %'));
    }
    for (const event of result.events) {
      if (!result.probabilities) root.append(svg('rect', { class: 'event', x: round(x(event.start)), y: top, width: round(x(event.end) - x(event.start)), height: bottom - top }));
      for (const time of [event.start, event.end]) root.append(svg('line', { class: 'edge', x1: round(x(time)), x2: round(x(time)), y1: top, y2: bottom }));
    }

    let line = '';
    windows.forEach((window, i) => {
      line += (i ? 'L' : 'M') + round(x(boundary(i))) + ' ' + round(y(window.smoothed)) + 'H' + round(x(boundary(i + 1)));
    });
    const area = line + 'V' + bottom + 'H' + round(x(boundary(0))) + 'Z', limit = result.probabilities ? top : y(result.threshold);
    root.append(svg('defs', {},
      svg('clipPath', { id: 'clip-above' }, svg('rect', { x: 0, y: 0, width, height: round(limit + 0.5) })),
      svg('clipPath', { id: 'clip-below' }, svg('rect', { x: 0, y: round(limit + 0.5), width, height }))));
    for (const side of ['below', 'above']) {
      root.append(svg('g', { class: side, 'clip-path': 'url(#clip-' + side + ')' }, svg('path', { class: 'area', d: area }), svg('path', { class: 'line', d: line })));
    }
    if (!result.probabilities) root.append(svg('line', { class: 'threshold', x1: left, x2: right, y1: round(limit), y2: round(limit) }));

    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].find(s => (right - left) * s / end >= 64) || 7200;
    for (let i = 0; i * step <= end * 1.0001; i++) {
      const at = i * step, isLast = right - x(at) < 20;
      root.append(svg('text', { x: round(x(at)), y: height - 8, 'text-anchor': isLast ? 'end' : 'middle' }, step < 1 ? at.toFixed(1) + ' s' : clock(at).replace(/\.0$/, '')));
    }
    if (lane) root.append(...attention(x, left, right, end, bottom + 8, lane));

    root.append(
      svg('line', { id: 'playhead', class: 'playhead', y1: top, y2: bottom, visibility: 'hidden' }),
      svg('line', { id: 'cursor', class: 'cursor', y1: top, y2: bottom, visibility: 'hidden' }),
      svg('circle', { id: 'dot', class: 'dot', r: 4.5, visibility: 'hidden' }));
    $('chart').replaceChildren(root);
  }

  /** The attention of all windows over time, relative to even attention, as a lane of cells. */
  function attention(x, left, right, end, top, height) {
    const cells = Math.min(240, Math.floor((right - left) / 3)), sums = new Float64Array(cells), weights = new Float64Array(cells);
    for (const window of result.windows) {
      const count = window.attention.length, share = (window.end - window.start) / count;
      window.attention.forEach((value, i) => {
        const from = (window.start + i * share) / end * cells, to = Math.min(cells, from + share / end * cells);
        for (let cell = Math.floor(from); cell < to; cell++) {
          const overlap = Math.min(to, cell + 1) - Math.max(from, cell);
          sums[cell] += overlap * value * count;
          weights[cell] += overlap;
        }
      });
    }
    const values = Array.from(sums, (sum, i) => weights[i] > 0 ? sum / weights[i] : 0), most = Math.max(...values, 1e-9), edge = i => Math.round(left + (right - left) * i / cells);
    return [
      ...values.map((value, i) => svg('rect', { class: 'attention cell', x: edge(i), y: top, width: edge(i + 1) - edge(i), height, opacity: (0.9 * value / most).toFixed(3) })),
      svg('rect', { class: 'lane', x: left, y: top, width: right - left, height }),
    ];
  }

  /** Marks window i, or none. */
  function point(i) {
    if (!result || !$('cursor')) return;
    cursor = i;
    const window = result.windows[i];
    for (const id of ['cursor', 'dot']) $(id).setAttribute('visibility', window ? 'visible' : 'hidden');
    const chart = $('chart');
    if (!window) {
      $('readout').textContent = '';
      chart.setAttribute('aria-valuenow', 0);
      chart.setAttribute('aria-valuetext', 'No moment chosen; arrow keys choose one');
      return;
    }
    const middle = plot.x((boundary(i) + boundary(i + 1)) / 2).toFixed(1);
    $('cursor').setAttribute('x1', middle);
    $('cursor').setAttribute('x2', middle);
    $('dot').setAttribute('cx', middle);
    $('dot').setAttribute('cy', plot.y(window.smoothed).toFixed(1));
    $('readout').textContent = clock(window.start) + ' – ' + clock(window.end) + '  ' + called(window);
    chart.setAttribute('aria-valuenow', i);
    chart.setAttribute('aria-valuetext', clock(window.start) + ' to ' + clock(window.end) + ', ' + called(window));
  }

  function go(time, i) {
    if (!$('player').hidden) $('player').currentTime = time;
    point(i);
  }

  const timeOf = event => (event.clientX - $('chart').getBoundingClientRect().left - plot.left) / (plot.right - plot.left) * plot.end;

  $('chart').addEventListener('pointermove', event => result && point(windowAt(timeOf(event))));
  $('chart').addEventListener('pointerleave', () => point(-1));
  $('chart').addEventListener('click', event => result && go(Math.max(0, timeOf(event)), windowAt(timeOf(event))));
  $('chart').addEventListener('keydown', event => {
    const last = result.windows.length - 1;
    const moves = { ArrowRight: cursor + 1, ArrowUp: cursor + 1, ArrowLeft: Math.max(0, cursor - 1), ArrowDown: Math.max(0, cursor - 1), Home: 0, End: last, Enter: cursor, Escape: -1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const i = Math.min(last, moves[event.key]);
    if (event.key === 'Enter' && i >= 0) go(result.windows[i].start, i);
    else point(i);
  });
  new ResizeObserver(() => {
    if (result) {
      draw();
      point(cursor);
    }
  }).observe($('chart'));

  $('player').addEventListener('timeupdate', () => {
    if (!result || !$('playhead')) return;
    const at = plot.x(Math.min(plot.end, $('player').currentTime)).toFixed(1);
    $('playhead').setAttribute('x1', at);
    $('playhead').setAttribute('x2', at);
    $('playhead').setAttribute('visibility', 'visible');
  });
  $('player').addEventListener('error', () => { $('player').hidden = true; });

  // ---- choosing a video

  $('file').addEventListener('change', () => {
    const files = [...$('file').files];
    $('file').value = '';
    if (files.length) take(files);
  });
  document.addEventListener('dragover', event => {
    event.preventDefault();
    $('drop').classList.add('over');
  });
  document.addEventListener('dragleave', event => {
    if (!event.relatedTarget) $('drop').classList.remove('over');
  });
  document.addEventListener('drop', event => {
    event.preventDefault();
    $('drop').classList.remove('over');
    const files = [...event.dataTransfer.files];
    if (files.length) take(files);
  });
  $('cancel').addEventListener('click', remove);
  $('delete').addEventListener('click', remove);

  // What has not been sent is known to this page alone.
  addEventListener('beforeunload', event => {
    if (items.some(item => item.state === 'waiting' || item.state === 'sending')) event.preventDefault();
  });

  $('file').multiple = true;
  health().catch(error => show('error', error.message));
  const asked = new URLSearchParams(location.search).get('id');
  refresh().then(() => {
    const item = items.find(other => other.id === asked);
    if (item && !selected) {
      selected = item;
      list();
    }
  });
  if (isId(asked)) watch(asked);
})();
