page.follow('cameras', 1000, () => {
  const alarms = document.querySelectorAll('.camera.violent').length;
  document.title = (alarms ? '(' + alarms + ') ' : '') + 'Cameras – CudaTrainer';
});
