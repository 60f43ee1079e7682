import AVFoundation
import EdgeEffNetCore

/// Upright frames of the back camera, the newest one only: who is busy misses some.
final class Camera: NSObject, AVCaptureVideoDataOutputSampleBufferDelegate, @unchecked Sendable {
    let session = AVCaptureSession()

    /// Everything but `session`'s preview happens on it.
    private let queue = DispatchQueue(label: "camera")
    private var continuation: AsyncThrowingStream<RGBImage, any Error>.Continuation?

    override init() {
        super.init()
        // Starting reports neither: without these the preview would stay black, and say nothing.
        let center = NotificationCenter.default
        center.addObserver(
            self, selector: #selector(interrupted), name: AVCaptureSession.wasInterruptedNotification, object: session)
        center.addObserver(
            self, selector: #selector(failed), name: AVCaptureSession.runtimeErrorNotification, object: session)
    }

    /// Starts the camera; it stops when nobody listens any more.
    func frames() -> AsyncThrowingStream<RGBImage, any Error> {
        AsyncThrowingStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
            continuation.onTermination = { _ in self.queue.async { self.session.stopRunning() } }
            AVCaptureDevice.requestAccess(for: .video) { granted in
                self.queue.async { self.start(granted: granted, continuation) }
            }
        }
    }

    private func start(granted: Bool, _ continuation: AsyncThrowingStream<RGBImage, any Error>.Continuation) {
        do {
            guard granted else { throw InputError("The camera is not allowed; allow it in Settings, Privacy, Camera.") }
            if session.inputs.isEmpty { try configure() }
            self.continuation = continuation
            session.startRunning()
        } catch {
            continuation.finish(throwing: error)
        }
    }

    private func configure() throws {
        guard let device = AVCaptureDevice.default(.builtInWideAngleCamera, for: .video, position: .back) else {
            throw InputError("This device has no camera; choose a photo.")
        }
        session.beginConfiguration()
        defer { session.commitConfiguration() }
        session.sessionPreset = .hd1280x720
        let input = try AVCaptureDeviceInput(device: device)
        let output = AVCaptureVideoDataOutput()
        output.videoSettings = [kCVPixelBufferPixelFormatTypeKey as String: kCVPixelFormatType_32BGRA]
        output.alwaysDiscardsLateVideoFrames = true
        output.setSampleBufferDelegate(self, queue: queue)
        guard session.canAddInput(input), session.canAddOutput(output) else {
            throw InputError("The back camera cannot give this app 1280x720 video frames; choose a photo.")
        }
        session.addInput(input)
        session.addOutput(output)
        // Sensors lie on their side; the app is held upright.
        if let connection = output.connection(with: .video), connection.isVideoRotationAngleSupported(90) {
            connection.videoRotationAngle = 90
        }
    }

    @objc private func interrupted(_ notification: Notification) {
        let number = notification.userInfo?[AVCaptureSessionInterruptionReasonKey] as? Int
        switch number.flatMap(AVCaptureSession.InterruptionReason.init(rawValue:)) {
        case .videoDeviceNotAvailableInBackground:
            return  // It goes on by itself when the app is back.
        case .videoDeviceInUseByAnotherClient:
            end("Another app is using the camera; close that one, then turn the camera off and on again.")
        case .videoDeviceNotAvailableWithMultipleForegroundApps:
            end("The camera is off beside other apps; give this one the whole screen, then turn it off and on again.")
        case .videoDeviceNotAvailableDueToSystemPressure:
            end("The device is too warm for the camera; let it cool down, then turn the camera off and on again.")
        default:
            end("The camera was interrupted; turn it off and on again.")
        }
    }

    @objc private func failed(_ notification: Notification) {
        let error = notification.userInfo?[AVCaptureSessionErrorKey] as? any Error
        end("The camera stopped (\(error?.localizedDescription ?? "no reason given")); turn it off and on again.")
    }

    /// Tells whoever listens why no more frames come.
    private func end(_ sentence: String) {
        queue.async { self.continuation?.finish(throwing: InputError(sentence)) }
    }

    func captureOutput(
        _ output: AVCaptureOutput, didOutput sampleBuffer: CMSampleBuffer, from connection: AVCaptureConnection
    ) {
        guard let buffer = CMSampleBufferGetImageBuffer(sampleBuffer) else { return }
        CVPixelBufferLockBaseAddress(buffer, .readOnly)
        defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
        let layout = PixelLayout.bgra(bytesPerRow: CVPixelBufferGetBytesPerRow(buffer))
        let bytes = UnsafeRawBufferPointer(
            start: CVPixelBufferGetBaseAddress(buffer), count: CVPixelBufferGetDataSize(buffer))
        do {
            let image = try layout.image(
                width: CVPixelBufferGetWidth(buffer), height: CVPixelBufferGetHeight(buffer), from: bytes)
            // Nobody may have listened any more when the permission came.
            if case .terminated = continuation?.yield(image) { session.stopRunning() }
        } catch {
            continuation?.finish(throwing: error)
        }
    }
}
